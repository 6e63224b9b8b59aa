import type { ClientFault } from './client-faults.ts';
import type { Fault } from './faults.ts';

/** The page of the docs with the tables. */
export function renderFaults(faults: readonly Fault[], clientFaults: readonly ClientFault[]): string {
  const upstream = faults.map(({ moment, fault, idempotent, post, proxyStatus, result, outcome }) =>
    row([moment, fault, idempotent, post, code(proxyStatus), code(result), code(outcome)]),
  );
  const client = clientFaults.map(({ fault, clientGets, upstreamGot, outcome, error }) =>
    row([fault, clientGets, upstreamGot, code(outcome), code(error)]),
  );
  return `# What becomes of every fault

<!-- Generated from test/fault/faults.ts and client-faults.ts, whose tests play each row over raw sockets.
     To generate it again: UPDATE_DOCS=1 npx vitest run test/fault/table.test.ts -->

With the defaults: three attempts, no idempotency key. \`×3\` is the number of attempts. \`cut\` means that the client's
connection is broken, because the head has been passed on: a body that breaks never looks whole. A 5xx or 429 without an error
type is the upstream's own reply, returned as it came.

## The upstream fails

| when | how | GET, PUT … | POST, PATCH | \`Proxy-Status\` error | \`attempts_total{result}\` | \`requests_total{outcome}\` |
|---|---|---|---|---|---|---|
${upstream.join('\n')}

An attempt timeout that is written holds for the last attempt too.

A reset after the head is treated like a close there, whether or not bytes that came before it still arrive. There is one exception: a body
that ends with its connection is whole after a close, and broken after a reset.

## The client fails

The upstream's connection is closed in each case, and there is no retry.

| the client … | gets | requests at the upstream | \`requests_total{outcome}\` | error in the log |
|---|---|---|---|---|
${client.join('\n')}
`;
}

const code = (text: string) => (text === '' ? '' : `\`${text}\``);
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
