import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface FaultProxyOptions {
  /** The target. Only protocol, host and port are used. TLS is verified. */
  readonly target: URL;
  /** More certificates to trust, in PEM. */
  readonly ca?: readonly string[];
  /** 3 breaks the third connection, the sixth and so on. */
  readonly breakEvery: number;
  /** Requests per connection before a normal close, so that there are many connections. */
  readonly requestsPerConnection: number;
  /** Places where connections may break. One is drawn each time. */
  readonly breaches: readonly Breach[];
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** The place where a connection breaks, always by a reset. */
export type Breach = 'at connect' | 'after the request' | 'in the head' | 'in the body';

export interface FaultProxy {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly connections: number;
  readonly requests: number;
  readonly broken: Readonly<Record<Breach, number>>;
  close(): Promise<void>;
}

/** Faults before the head of the reply is complete, so that the client has received none of it. */
export const BEFORE_THE_REPLY: readonly Breach[] = ['at connect', 'after the request', 'in the head'];

/** Shorter than any reply's head. */
const LONGEST_PARTIAL_HEAD = 80;
/** Longer than any reply's head, shorter than most packages. */
const BODY_BREACH_BYTES = { from: 1500, to: 12_000 };

/**
 * Forwards bytes from loopback to the target (over verified TLS if it is https), and breaks every nth connection. It parses
 * only the start of requests, to replace their Host.
 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const broken: Record<Breach, number> = {
    'at connect': 0,
    'after the request': 0,
    'in the head': 0,
    'in the body': 0,
  };
  const sockets = new Set<Socket>();
  let connections = 0;
  let requests = 0;
  // If a connection ends before its break, the next connection breaks instead.
  let owed = 0;

  const server = createServer({ noDelay: true }, (near) => {
    sockets.add(near);
    near.once('close', () => sockets.delete(near));
    if (++connections % options.breakEvery === 0) owed++;
    let breach: Breach | undefined;
    if (owed > 0) {
      owed--;
      breach = options.breaches[Math.floor(options.random() * options.breaches.length)];
    }
    forward(near, breach, options, {
      onRequest: () => requests++,
      onBreak: (where) => broken[where]++,
      onSpared: () => owed++,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    get requests() {
      return requests;
    },
    broken,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

interface Observer {
  onRequest(): void;
  onBreak(where: Breach): void;
  /** Called if the connection ended normally before its break. */
  onSpared(): void;
}

/** One connection from client to target, with the place where it breaks. */
function forward(
  near: Socket,
  breach: Breach | undefined,
  options: FaultProxyOptions,
  observer: Observer,
): void {
  let pending = breach;
  let requests = 0;
  let replyBytes = 0;
  near.on('error', () => near.destroy());
  if (breach === 'at connect') {
    observer.onBreak(breach);
    near.resetAndDestroy();
    return;
  }

  const far = connect(options);
  const breakNow = () => {
    if (pending === undefined) return;
    observer.onBreak(pending);
    pending = undefined;
    near.resetAndDestroy();
    far.destroy();
  };
  const breakAt = breachOffset(breach, options.random);

  near.on('data', (chunk: Buffer) => {
    const isRequest = beginsRequest(chunk);
    if (isRequest) {
      requests++;
      observer.onRequest();
    }
    const last = requests >= options.requestsPerConnection;
    const bytes = isRequest ? rewriteHead(chunk, options.target.host, last) : chunk;
    if (!far.write(bytes)) near.pause();
    if (isRequest && pending === 'after the request') far.write('', breakNow);
  });
  far.on('data', (chunk: Buffer) => {
    const keep = breakAt - replyBytes;
    replyBytes += chunk.length;
    if (pending !== undefined && chunk.length > keep) near.write(chunk.subarray(0, keep), breakNow);
    else if (pending !== 'after the request' && !near.write(chunk)) far.pause();
  });
  near.on('drain', () => far.resume());
  far.on('drain', () => near.resume());
  near.on('end', () => far.end());
  far.on('end', () => near.end());
  // A fault of the real network is forwarded.
  far.on('error', () => near.resetAndDestroy());
  near.on('close', () => {
    if (pending !== undefined) observer.onSpared();
    far.destroy();
  });
}

function connect({ target, ca }: FaultProxyOptions): Socket {
  const secure = target.protocol === 'https:';
  const port = Number(target.port) || (secure ? 443 : 80);
  const host = target.hostname;
  if (!secure) return connectTcp({ host, port, noDelay: true });
  return connectTls({
    host,
    port,
    servername: host,
    ALPNProtocols: ['http/1.1'],
    ...(ca && { ca: [...ca] }),
  });
}

/** The number of reply bytes before the break. */
function breachOffset(breach: Breach | undefined, random: () => number): number {
  if (breach === 'in the head') return 1 + Math.floor(random() * LONGEST_PARTIAL_HEAD);
  if (breach !== 'in the body') return Number.POSITIVE_INFINITY;
  return BODY_BREACH_BYTES.from + Math.floor(random() * (BODY_BREACH_BYTES.to - BODY_BREACH_BYTES.from));
}

/** Clients write a request head at once, so a chunk either begins with a head or is part of a body. */
function beginsRequest(chunk: Buffer): boolean {
  return /^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(chunk.toString('latin1', 0, 4096));
}

/** The head for the target: with its own Host, and `Connection: close` on the last request. */
function rewriteHead(head: Buffer, host: string, last: boolean): Buffer {
  const text = head.toString('latin1').replace(/\r\nhost: [^\r]*/i, `\r\nhost: ${host}`);
  return Buffer.from(
    last ? text.replace(/\r\nconnection: [^\r]*/i, '\r\nconnection: close') : text,
    'latin1',
  );
}
