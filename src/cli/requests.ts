import { systemClock } from '../runtime/clock.ts';
import { terminalLines, terminalText } from '../runtime/terminal.ts';
import { type AdminAddress, AdminFailure, adminAddress, callDurable, detailIn, jsonIn } from './admin-api.ts';
import { readArgs, wrong } from './args.ts';
import type { Command, Io } from './io.ts';
import { filtersOf, mistakeIn, queryOf, type Takes, USAGE } from './requests-args.ts';
import {
  type Attempts,
  describeAttempts,
  describeList,
  describeRequest,
  inShort,
  type Monitor,
} from './requests-text.ts';

interface Asked {
  readonly proxy: AdminAddress;
  readonly ids: readonly string[];
  /** Query with its question mark; '' for none. */
  readonly query: string;
  readonly force: boolean;
  readonly json: boolean;
  readonly io: Io;
  /** Prints a stored body, byte for byte. */
  readonly outRaw: (text: string) => void;
}

interface Action {
  readonly takes: Takes;
  readonly run: (asked: Asked) => Promise<number>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  list: { takes: 'filters', run: list },
  show: { takes: 'one', run: show },
  attempts: { takes: 'one', run: attempts },
  response: { takes: 'one', run: response },
  retry: { takes: 'ids or filters', run: (asked) => change('retry', asked) },
  cancel: { takes: 'ids or filters', run: (asked) => change('cancel', asked) },
  delete: { takes: 'ids', run: (asked) => eachOf(asked, 'DELETE', '') },
};

/** `breakwater requests`: lists and changes the durable requests of a running proxy. */
export const requests: Command = async (args, bare) => {
  const io = forTerminal(bare);
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { values } = called;
  const [name = '', ...ids] = called.words;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) return wrong(`unknown action "${name}"`, USAGE.text, io).exit;
  const filters = filtersOf(values);
  const mistake = mistakeIn(action.takes, ids, filters);
  if (mistake !== undefined) return wrong(`${name} ${mistake}`, USAGE.text, io).exit;
  try {
    const query = queryOf(filters);
    const { force, json } = values;
    const outRaw = (text: string) => bare.out(text);
    return await action.run({ proxy: adminAddress(values, io), ids, query, force, json, io, outRaw });
  } catch (error) {
    if (!(error instanceof AdminFailure)) throw error;
    io.err(`breakwater: ${error.message}\n`);
    return error.exit;
  }
};

/** Escapes control characters: texts may come from upstreams and clients. */
function forTerminal(io: Io): Io {
  return {
    ...io,
    out: (text) => io.out(terminalLines(text)),
    err: (text) => io.err(terminalLines(text)),
  };
}

async function list({ proxy, query, json, io }: Asked): Promise<number> {
  const page = await asked<{ requests: Monitor[]; cursor?: string }>(proxy, 'GET', `/requests${query}`);
  if (json) return printed(page, io);
  io.out(describeList(page.requests, systemClock.wallTime()));
  if (page.cursor !== undefined) io.err(`there may be more; continue with --cursor ${page.cursor}\n`);
  return 0;
}

async function show({ proxy, ids, json, io }: Asked): Promise<number> {
  const path = pathOf(ids[0]);
  const monitor = await asked<Monitor>(proxy, 'GET', path);
  if (json) return printed(monitor, io);
  const made = await asked<Attempts>(proxy, 'GET', `${path}/attempts`);
  io.out(describeRequest(monitor, made, systemClock.wallTime()));
  return 0;
}

async function attempts({ proxy, ids, json, io }: Asked): Promise<number> {
  const made = await asked<Attempts>(proxy, 'GET', `${pathOf(ids[0])}/attempts`);
  if (json) return printed(made, io);
  io.out(describeAttempts(made, systemClock.wallTime()));
  return 0;
}

async function response({ proxy, ids, io, outRaw }: Asked): Promise<number> {
  const path = pathOf(ids[0]);
  const monitor = await asked<Monitor>(proxy, 'GET', path);
  if (monitor.response === undefined || !monitor.done || monitor.erased)
    throw new AdminFailure(`there is no response: ${inShort(monitor, systemClock.wallTime())}`);
  const { status, body } = await callDurable(proxy, 'GET', `${path}/response`);
  io.err(`${status}, ${body.length} bytes\n`);
  try {
    outRaw(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new AdminFailure(`the body is not text; fetch ${proxy.url}${proxy.prefix}${path}/response`);
  }
  return 0;
}

async function change(what: 'retry' | 'cancel', call: Asked): Promise<number> {
  const { proxy, ids, query, force, json, io } = call;
  if (ids.length > 0) return eachOf(call, 'POST', `/${what}${force ? '?force=true' : ''}`);
  const result = await asked<{ matched: number; changed: number }>(
    proxy,
    'POST',
    `/requests/${what}${query}`,
  );
  if (json) return printed(result, io);
  io.out(
    `${result.changed} of ${result.matched} matching requests ${what === 'retry' ? 'sent again' : 'cancelled'}\n`,
  );
  return 0;
}

/** Changes one request after the other, even if one of them fails. */
async function eachOf({ proxy, ids, io }: Asked, method: string, what: string): Promise<number> {
  let code = 0;
  for (const id of ids) {
    const { status, body } = await callDurable(proxy, method, `${pathOf(id)}${what}`);
    if (status === 204) io.out(`${id}: deleted\n`);
    else if (status < 300)
      io.out(`${id}: ${inShort(jsonIn<Monitor>(proxy, body), systemClock.wallTime())}\n`);
    else {
      io.err(`breakwater: ${id}: ${problemIn(proxy, body)}\n`);
      code = 1;
    }
  }
  return code;
}

async function asked<T>(proxy: AdminAddress, method: string, path: string): Promise<T> {
  const { status, body } = await callDurable(proxy, method, path);
  if (status < 300) return jsonIn<T>(proxy, body);
  throw new AdminFailure(problemIn(proxy, body), status === 400 ? 2 : 1);
}

const pathOf = (id = ''): string => `/requests/${encodeURIComponent(id)}`;

function problemIn(proxy: AdminAddress, body: Buffer): string {
  const detail = detailIn(proxy, body);
  // The API names its own parameter.
  if (detail !== 'there is no such path')
    return detail === undefined
      ? 'no reason was given'
      : terminalText(detail.replace('?force=true', '--force'));
  return `the proxy at ${proxy.url} has no durable requests under ${proxy.prefix}; write durable: true in a route, or correct durable.prefix`;
}

function printed(value: unknown, io: Io): number {
  io.out(`${JSON.stringify(value, null, 2)}\n`);
  return 0;
}
