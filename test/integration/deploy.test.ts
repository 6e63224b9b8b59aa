import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type Good, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { run, temporaryFolder } from '../support/command.ts';

/* The files of deploy/ fit together, and the tools that use them accept them, where these are installed. */

/** Time for npm and the bundler on a busy machine. */
const NPM_MS = 60_000;

type Json = Record<string, unknown>;

const has = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
const hasKubectl = has('kubectl', 'kustomize', '--help');
const hasSystemd = has('systemd-analyze', '--version');
if (!hasKubectl) console.warn('kubectl is not on PATH: the kustomizations are NOT built by it');
if (!hasSystemd) console.warn('systemd-analyze is not on PATH: the unit is NOT verified by it');

const documents = (file: string): Json[] =>
  parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    expect([file, document.errors]).toEqual([file, []]);
    return document.toJS() as Json;
  });

const CONFIGS = {
  'deploy/kubernetes/sidecar/config/config.yaml': {},
  'deploy/kubernetes/shared/config/config.yaml': {
    DURABLE_STORE: 'postgres://proxy@db.internal/breakwater',
    DURABLE_CREDENTIALS_KEY: Buffer.alloc(32, 7).toString('base64'),
  },
  'deploy/compose/breakwater/config.yaml': {},
};

function configOf(file: keyof typeof CONFIGS): Good {
  const loaded = loadConfig(file, CONFIGS[file]);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

test.each(Object.keys(CONFIGS) as (keyof typeof CONFIGS)[])('%s is a good configuration', (file) => {
  const { config, warnings } = configOf(file);
  expect(warnings.map(formatProblem)).toEqual([]);
  expect(config.admin.host).toBe('127.0.0.1');
  expect(config.metrics?.port).toBe(9090);
});

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly ports?: readonly { name: string; containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly volumeMounts?: readonly { name: string; mountPath: string; subPath?: string }[];
  readonly resources?: { readonly requests: Json; readonly limits: Json };
  readonly securityContext?: Json;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string }[];
}

interface Probe {
  readonly timeoutSeconds?: number;
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly { name: string; configMap: { name: string } }[];
}

describe.each([
  ['sidecar', 'deploy/kubernetes/sidecar/config/config.yaml'],
  ['shared', 'deploy/kubernetes/shared/config/config.yaml'],
] as const)('kubernetes/%s', (name, file) => {
  const folder = join('deploy/kubernetes', name);
  const [kustomization = {}] = documents(join(folder, 'kustomization.yaml'));
  const resources = (kustomization['resources'] as string[]).flatMap((one) => documents(join(folder, one)));
  const deployment = resources.find(({ kind }) => kind === 'Deployment') as unknown as {
    spec: { selector: { matchLabels: Json }; template: { metadata: { labels: Json }; spec: PodSpec } };
  };
  const pod = deployment.spec.template.spec;
  const all = [...(pod.initContainers ?? []), ...pod.containers];
  const proxy = all.find((container) => container.name === 'breakwater') as Container;
  const { config } = configOf(file);

  test('names all files of its folder', () => {
    const generated = (kustomization['configMapGenerator'] as { name: string; files: string[] }[])[0];
    const named = ['kustomization.yaml', ...(kustomization['resources'] as string[])];
    expect(
      readdirSync(folder)
        .filter((one) => one.endsWith('.yaml'))
        .sort(),
    ).toEqual(named.sort());
    for (const one of generated?.files ?? []) expect(existsSync(join(folder, one))).toBe(true);
    expect(pod.volumes.map(({ configMap }) => configMap.name)).toEqual([generated?.name]);
    // With a hash in its name, a new ConfigMap restarts all pods, and no running proxy reloads.
    expect(kustomization['generatorOptions']).toEqual({ disableNameSuffixHash: true });
  });

  test('probes ask the listener of metrics, which the ports of the proxy name', () => {
    const ports = new Map(proxy.ports?.map((port) => [port.name, port.containerPort]));
    const { startupProbe, readinessProbe, livenessProbe } = proxy;
    expect(ports.get('metrics')).toBe(config.metrics?.port);
    expect(ports.get('http') ?? config.listen.port).toBe(config.listen.port);
    const asked = [startupProbe, readinessProbe, livenessProbe].flatMap((probe) => probe?.httpGet.port ?? []);
    expect(new Set(asked)).toEqual(new Set(['metrics']));
    expect(startupProbe?.httpGet.path).toBe('/readyz');
    // A failed store or a drain must not restart the proxy.
    expect(livenessProbe?.httpGet.path).toBe('/healthz');
    // The default of Kubernetes is 1 s: it would take out a replica that is busy for a moment.
    expect((readinessProbe ?? livenessProbe)?.timeoutSeconds).toBe(5);
  });

  test('the container gives the configuration all that it takes from the environment', () => {
    expect((proxy.env ?? []).map((variable) => variable.name)).toEqual(Object.keys(CONFIGS[file]));
  });

  test('the grace period is longer than the drain', () => {
    const drainMs = config.drainDelayMs + config.drainTimeoutMs;
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(drainMs);
  });

  test('the configuration is mounted as a folder, so that a swap is seen', () => {
    const [mount] = proxy.volumeMounts ?? [];
    expect(mount?.subPath).toBeUndefined();
    expect(proxy.args).toEqual(['start', '--config', `${mount?.mountPath}/config.yaml`]);
  });

  test('the proxy has few rights, a memory limit and no CPU limit', () => {
    expect(proxy.securityContext).toMatchObject({
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
    });
    expect(Object.keys(proxy.resources?.limits ?? {})).toEqual(['memory']);
  });

  test('labels and the ports of policies and services are those of the pods', () => {
    const { labels } = deployment.spec.template.metadata;
    expect(labels).toMatchObject(deployment.spec.selector.matchLabels);
    const known = new Set(all.flatMap(({ ports = [] }) => ports.map((port) => port.name)));
    const text = JSON.stringify(resources.filter(({ kind }) => kind !== 'Deployment'));
    const named = [...text.matchAll(/"(?:port|targetPort)":"(\w+)"/g)].map(([, port]) => port);
    expect(named.length).toBeGreaterThan(0);
    for (const port of named) expect(known).toContain(port);
  });

  test.runIf(hasKubectl)('kubectl builds it', () => {
    const built = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
    expect([built.status, built.stderr]).toEqual([0, '']);
    const kinds = parseAllDocuments(built.stdout).map((document) => (document.toJS() as Json)['kind']);
    expect(kinds).toEqual(expect.arrayContaining(['ConfigMap', 'Deployment', 'NetworkPolicy']) as unknown);
    expect(built.stdout).toContain('metrics: 0.0.0.0:9090');
  });
});

test('the sidecar is a native one: it starts before the app and ends after it', () => {
  const [deployment] = documents('deploy/kubernetes/sidecar/deployment.yaml') as unknown as {
    spec: { template: { spec: PodSpec } };
  }[];
  const [proxy] = deployment?.spec.template.spec.initContainers ?? [];
  expect([proxy?.name, proxy?.restartPolicy]).toEqual(['breakwater', 'Always']);
  const { config } = configOf('deploy/kubernetes/sidecar/config/config.yaml');
  expect(config.listen.host).toBe('127.0.0.1');
});

test('compose mounts files that exist, and scrapes the listener of metrics', () => {
  const [compose = {}] = documents('deploy/compose/compose.yaml');
  const services = compose['services'] as Record<string, { volumes?: string[]; build?: string }>;
  const volumes = Object.keys(compose['volumes'] as Json);
  for (const { volumes: mounts = [] } of Object.values(services))
    for (const [source = ''] of mounts.map((mount) => mount.split(':')))
      expect([source, volumes.includes(source) || existsSync(join('deploy/compose', source))]).toEqual([
        source,
        true,
      ]);
  const [prometheus = {}] = documents('deploy/compose/prometheus.yml');
  expect(JSON.stringify(prometheus['scrape_configs'])).toContain('"breakwater:9090"');
  const { config } = configOf('deploy/compose/breakwater/config.yaml');
  expect(config.upstreams.map(({ name }) => name)).toContain('demo');
  for (const file of ['datasource.yaml', 'dashboards.yaml']) documents(join('deploy/compose/grafana', file));
});

test('the files that the Dockerfile copies are enough for the build', { timeout: NPM_MS }, async () => {
  const allowed = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
  const isSent = (path: string) =>
    !path.includes('node_modules') &&
    allowed.some((one) => `${path}/`.startsWith(`${one}/`) || one.startsWith(`${path}/`));
  const [, buildStage = ''] = readFileSync('Dockerfile', 'utf8').split(/^FROM /m);
  const folder = temporaryFolder();
  for (const [, sources = '', target = ''] of buildStage.matchAll(/^COPY (.+) (\S+)$/gm))
    for (const source of sources.split(' ')) {
      const destination = join(folder, target, target.endsWith('/') ? source : '');
      cpSync(source, destination, { recursive: true, filter: isSent });
    }
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const build = run('npm', ['run', 'build'], { cwd: folder });
  expect([await build.ended(), build.err]).toEqual([0, '']);
  expect(existsSync(join(folder, 'dist', 'sbom.cdx.json'))).toBe(true);
});

test.runIf(hasSystemd)('systemd accepts the unit', () => {
  const verified = spawnSync('systemd-analyze', ['verify', 'deploy/systemd/breakwater.service'], {
    encoding: 'utf8',
  });
  expect([verified.status, verified.stderr.includes('breakwater.service')]).toEqual([0, false]);
});

test('deploy/README.md names every folder', () => {
  const readme = readFileSync('deploy/README.md', 'utf8');
  for (const folder of ['kubernetes/sidecar', 'kubernetes/shared', 'compose', 'systemd']) {
    expect(readme).toContain(folder);
    expect(existsSync(join(dirname('deploy/README.md'), folder))).toBe(true);
  }
});
