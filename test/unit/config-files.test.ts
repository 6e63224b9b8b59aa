import { basename, dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Good, type Loaded, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { headerValues, processValues, routeValues, upstreamValues } from '../../src/config/show/effective.ts';

type Files = Readonly<Record<string, string>>;

/** Loads `etc/config.yaml` of a file system in memory. */
function load(files: Files, env: Readonly<Record<string, string>> = {}): Loaded {
  const missing = () => Object.assign(new Error('no'), { code: 'ENOENT' });
  return loadConfig(
    'etc/config.yaml',
    env,
    (path) => {
      const text = files[path];
      if (text === undefined) throw missing();
      return text;
    },
    {
      listFolder: (folder) => {
        const names = Object.keys(files).filter((path) => dirname(path) === folder);
        if (names.length === 0) throw missing();
        return names.map((path) => basename(path));
      },
    },
  );
}

function good(files: Files, env?: Readonly<Record<string, string>>): Good {
  const loaded = load(files, env);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

function problems(files: Files, env?: Readonly<Record<string, string>>): string[] {
  const loaded = load(files, env);
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

const names = ({ config }: Good) => config.upstreams.map(({ name }) => name);

const PAY = 'upstreams:\n  pay:\n    url: https://pay.example.com\n    retry: { attempts: 4 }\n';
const MAIL = 'upstreams: { mail: { url: https://mail.example.com } }';

describe('include', () => {
  const files = {
    'etc/config.yaml': 'include: [upstreams/*.yaml, common.yaml]\nlisten: 127.0.0.1:9000',
    'etc/upstreams/pay.yaml': PAY,
    'etc/upstreams/mail.yaml': MAIL,
    'etc/upstreams/.mail.yaml.swp': 'not: [yaml',
    'etc/upstreams/README.md': '# not a part',
    'etc/common.yaml':
      'x-wait: &wait { max: 7s }\ndefaults: { retry: { backoff: *wait } }\nlog: { level: debug }',
  };

  test('adds the upstreams, the defaults and the keys of all files', () => {
    const loaded = good(files);
    expect(names(loaded)).toEqual(['mail', 'pay']);
    const [, pay] = loaded.config.upstreams;
    expect(pay?.routes[0]?.settings.retry.attempts).toBe(4);
    expect(pay?.routes[0]?.settings.retry.backoff.maxMs).toBe(7_000);
    expect(loaded.config.log.level).toBe('debug');
    expect(loaded.config.listen.port).toBe(9000);
  });

  test('explain names the file and the line of each value', () => {
    const loaded = good(files);
    const [, pay] = loaded.config.upstreams;
    const route = pay?.routes[0];
    if (pay === undefined || route === undefined) throw new Error('there is no route');
    const origins = Object.fromEntries(
      [...upstreamValues(loaded, pay), ...headerValues(loaded, route), ...routeValues(loaded, route)].map(
        ({ key, origin }) => [key, origin],
      ),
    );
    expect(origins['url']).toBe('etc/upstreams/pay.yaml:3 (upstreams.pay)');
    expect(origins['retry.attempts']).toBe('etc/upstreams/pay.yaml:4 (upstreams.pay)');
    expect(origins['retry.backoff.max']).toBe('etc/common.yaml:1 (defaults)');
    const process = Object.fromEntries(processValues(loaded).map(({ key, origin }) => [key, origin]));
    expect(process['log.level']).toBe('etc/common.yaml:3');
    expect(process['listen']).toBe('etc/config.yaml:2');
    expect(process['include']).toBe('etc/config.yaml:1');
  });

  test('a mistake is reported in its file, next to those of the others', () => {
    expect(
      problems({
        ...files,
        'etc/config.yaml': `${files['etc/config.yaml']}\nlisen: 1`,
        'etc/upstreams/pay.yaml':
          'upstreams:\n  pay:\n    url: https://pay.example.com\n    retires: 3\n    timeouts: { total: 3 }\n',
        'etc/common.yaml': 'log: { level: loud }',
      }),
    ).toEqual([
      'etc/config.yaml:3:1  lisen: unknown key; did you mean "listen"?',
      'etc/common.yaml:1:15  log.level: "loud" is not one of debug, info, warn, error',
      'etc/upstreams/pay.yaml:4:5  upstreams.pay.retires: unknown key; did you mean "retry"?',
      'etc/upstreams/pay.yaml:5:24  upstreams.pay.timeouts.total: "3" has no unit; write 3ms or 3s',
    ]);
  });

  test('an error of syntax names its file', () => {
    expect(problems({ ...files, 'etc/common.yaml': 'log: {' })[0]).toMatch(/^etc\/common\.yaml:1:\d+ /);
  });

  test.each<[what: string, files: Files, problem: string]>([
    [
      'an upstream in two files',
      { 'etc/config.yaml': `include: a.yaml\n${PAY}`, 'etc/a.yaml': `\n${PAY}` },
      'etc/a.yaml:3:3  upstreams.pay: is already written in etc/config.yaml:3; write it once, or change it in a file of overlay',
    ],
    [
      'a section in two files',
      {
        'etc/config.yaml': `include: [a.yaml, b.yaml]\n${PAY}`,
        'etc/a.yaml': 'log: { level: info }',
        'etc/b.yaml': 'log: { path: route }',
      },
      'etc/b.yaml:1:1  log: is already written in etc/a.yaml:1; write it once, or change it in a file of overlay',
    ],
    [
      'a file that does not exist',
      { 'etc/config.yaml': `include: [a.yaml]\n${PAY}` },
      'etc/config.yaml:1:11  include[0]: cannot read a.yaml: no such file',
    ],
    [
      'a folder that does not exist',
      { 'etc/config.yaml': `include: parts/*.yaml\n${PAY}` },
      'etc/config.yaml:1:10  include: cannot list parts: no such file',
    ],
    [
      'a pattern without a match',
      { 'etc/config.yaml': `include: "*.yml"\n${PAY}` },
      'etc/config.yaml:1:10  include: no file matches "*.yml"; correct the pattern, or remove it',
    ],
    [
      'a pattern of folders',
      { 'etc/config.yaml': `include: "*/a.yaml"\n${PAY}` },
      'etc/config.yaml:1:10  include: "*/a.yaml": * is allowed in the last part only; write one pattern for each folder',
    ],
    [
      'a file twice',
      { 'etc/config.yaml': `include: [a.yaml, ./a.yaml]\n${PAY}`, 'etc/a.yaml': '{}' },
      'etc/config.yaml:1:19  include[1]: ./a.yaml is already read; name each file once',
    ],
    [
      'the file itself',
      { 'etc/config.yaml': `include: config.yaml\n${PAY}` },
      'etc/config.yaml:1:10  include: config.yaml is already read; name each file once',
    ],
    [
      'a part that includes',
      { 'etc/config.yaml': `include: a.yaml\n${PAY}`, 'etc/a.yaml': 'include: b.yaml' },
      'etc/a.yaml:1:1  include: is allowed in etc/config.yaml only; write it there',
    ],
    [
      'a part that is a list',
      { 'etc/config.yaml': `include: a.yaml\n${PAY}`, 'etc/a.yaml': '- 1' },
      'etc/a.yaml:1:1  the file must be a map of keys',
    ],
    [
      'a number',
      { 'etc/config.yaml': `include: 7\n${PAY}` },
      'etc/config.yaml:1:10  include: "7" is not text; write it in quotes',
    ],
  ])('%s is a problem', (_, parts, problem) => expect(problems(parts)).toEqual([problem]));

  test('*.yaml next to the main file is all other files', () => {
    const loaded = good({
      'etc/config.yaml': 'include: "*.yaml"',
      'etc/pay.yaml': PAY,
      'etc/mail.yaml': MAIL,
    });
    expect(names(loaded)).toEqual(['mail', 'pay']);
  });

  test('an empty section of the main file, and an empty file, add nothing', () => {
    const loaded = good({
      'etc/config.yaml': 'include: [a.yaml, b.yaml, c.yaml]\nupstreams:',
      'etc/a.yaml': PAY,
      'etc/b.yaml': '# nothing yet',
      'etc/c.yaml': 'upstreams:',
    });
    expect(names(loaded)).toEqual(['pay']);
  });

  test('paths in a part are relative to the folder of the main file', () => {
    const loaded = good({
      'etc/config.yaml': 'include: upstreams/pay.yaml',
      'etc/upstreams/pay.yaml': 'upstreams: { pay: { url: "${file:secret}" } }',
      'etc/secret': 'https://pay.example.com\n',
    });
    expect(loaded.config.upstreams[0]?.origin).toBe('https://pay.example.com');
  });
});

describe('overlay', () => {
  const files = {
    'etc/config.yaml': `overlay: "env/\${ENV:-dev}.yaml"\ninclude: pay.yaml\nlog: { level: info, path: route }`,
    'etc/pay.yaml': `${PAY}    routes: [{ match: { path: /a } }, { match: { path: /b } }]\n    breaker: { consecutive_failures: 3 }\n`,
    'etc/env/dev.yaml': 'log: { level: debug }',
    'etc/env/prod.yaml':
      'upstreams:\n  pay:\n    breaker: off\n    retry: { attempts: 2, budget: { cap: 5 } }\n    routes: [{ match: { path: /c } }]\n  more: { url: https://more.example.com }\n',
  };

  test('merges maps, replaces lists and single values, and adds', () => {
    const loaded = good(files, { ENV: 'prod' });
    expect(names(loaded)).toEqual(['pay', 'more']);
    const [pay] = loaded.config.upstreams;
    expect(pay?.origin).toBe('https://pay.example.com');
    expect(pay?.routes.map(({ path }) => path)).toEqual(['/c', '/**']);
    expect(pay?.routes[0]?.settings.retry.attempts).toBe(2);
    expect(loaded.config.log).toMatchObject({ level: 'info', path: 'route' });
  });

  test('another environment has other values, and explain says where they are from', () => {
    const loaded = good(files);
    expect(loaded.config.log).toMatchObject({ level: 'debug', path: 'route' });
    const process = Object.fromEntries(processValues(loaded).map(({ key, origin }) => [key, origin]));
    expect(process['log.level']).toBe('etc/env/dev.yaml:1');
    expect(process['log.path']).toBe('etc/config.yaml:3');
  });

  test('a later file wins', () => {
    const loaded = good({
      ...files,
      'etc/config.yaml': `overlay: [env/dev.yaml, last.yaml]\n${PAY}`,
      'etc/last.yaml': 'log: { level: error }',
    });
    expect(loaded.config.log.level).toBe('error');
  });

  test('an empty section changes nothing', () => {
    const loaded = good({ ...files, 'etc/env/dev.yaml': 'upstreams:\nlog:\n' });
    expect(names(loaded)).toEqual(['pay']);
    expect(loaded.config.log.path).toBe('route');
  });

  test('a wrong value is reported where it is written, a missing environment where it is named', () => {
    expect(problems({ ...files, 'etc/env/dev.yaml': 'log: { level: loud }' })).toEqual([
      'etc/env/dev.yaml:1:15  log.level: "loud" is not one of debug, info, warn, error',
    ]);
    expect(problems(files, { ENV: 'stage' })).toEqual([
      'etc/config.yaml:1:10  overlay: cannot read env/stage.yaml: no such file',
    ]);
  });

  test('a secret of an overlay is in no message', () => {
    const found = problems(
      { ...files, 'etc/env/dev.yaml': 'upstreams: { pay: { timeouts: { total: "${SECRET}" } } }' },
      { SECRET: 'hunter2hunter2' },
    );
    expect(found.join()).toContain('etc/env/dev.yaml:1:40  upstreams.pay.timeouts.total: ');
    expect(found.join()).not.toContain('hunter2');
  });
});

test('all files and patterns are watched', () => {
  const loaded = good({
    'etc/config.yaml': 'include: parts/*.yaml\noverlay: o.yaml',
    'etc/parts/pay.yaml': PAY,
    'etc/o.yaml': '{}',
  });
  expect([...loaded.files.keys()]).toEqual([
    'etc/config.yaml',
    '\0etc/parts/*.yaml',
    'etc/parts/pay.yaml',
    'etc/o.yaml',
  ]);
});
