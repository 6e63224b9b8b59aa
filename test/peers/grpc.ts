import type * as grpc from '@grpc/grpc-js';
import {
  type Client,
  type ClientOptions,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { CA } from '../support/tls.ts';

const utf8 = { to: (text: string) => Buffer.from(text), from: (bytes: Buffer) => bytes.toString() };

const method = (
  path: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<string, string> => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: utf8.to,
  requestDeserialize: utf8.from,
  responseSerialize: utf8.to,
  responseDeserialize: utf8.from,
});

/** Messages are bare text: no proto files are needed to try what the proxy does. */
const ECHO = {
  unary: method('Unary', false, false),
  down: method('Down', false, true),
  up: method('Up', true, false),
  both: method('Both', true, true),
} satisfies ServiceDefinition;

export interface EchoHandlers {
  unary?: handleUnaryCall<string, string>;
  down?: handleServerStreamingCall<string, string>;
  up?: handleClientStreamingCall<string, string>;
  both?: handleBidiStreamingCall<string, string>;
}

type Callback = (error: grpc.ServiceError | null, value?: string) => void;

/** A real client of the service. */
export interface EchoClient extends Client {
  unary(
    text: string,
    metadata: grpc.Metadata,
    options: Partial<grpc.CallOptions>,
    done: Callback,
  ): grpc.ClientUnaryCall;
  down(text: string, metadata?: grpc.Metadata): grpc.ClientReadableStream<string>;
  up(done: Callback): grpc.ClientWritableStream<string>;
  both(): grpc.ClientDuplexStream<string, string>;
}

/** A real server, on a free port without TLS. */
export async function startGrpcServer(handlers: EchoHandlers) {
  const server = new Server();
  server.addService(ECHO, { ...handlers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return { url: `http://127.0.0.1:${port}`, server };
}

const EchoClientOf = makeGenericClientConstructor(ECHO, 'Echo');

export function grpcClient(
  port: number,
  { tls = false, ...options }: ClientOptions & { tls?: boolean } = {},
) {
  const secrets = tls ? credentials.createSsl(Buffer.from(CA)) : credentials.createInsecure();
  // Its own retries would hide what the proxy does.
  const own = { 'grpc.enable_retries': 0, ...options };
  const client = new EchoClientOf(`localhost:${port}`, secrets, own) as unknown as EchoClient;
  onTestFinished(() => client.close());
  return client;
}

export interface Answered {
  readonly value: string | undefined;
  readonly error: grpc.ServiceError | null;
  readonly head: grpc.Metadata | undefined;
  readonly status: grpc.StatusObject;
}

/** One unary call and its results. */
export function unary(
  client: EchoClient,
  text: string,
  { metadata, ...options }: Partial<grpc.CallOptions> & { metadata?: grpc.Metadata } = {},
): Promise<Answered> {
  return new Promise((resolve) => {
    let head: grpc.Metadata | undefined;
    let result: { value: string | undefined; error: grpc.ServiceError | null } | undefined;
    let status: grpc.StatusObject | undefined;
    const done = () => {
      if (result !== undefined && status !== undefined) resolve({ ...result, head, status });
    };

    const call = client.unary(text, metadata ?? new Metadata(), options, (error, value) => {
      result = { value, error };
      done();
    });
    call.on('metadata', (got) => {
      head = got;
    });
    call.on('status', (got) => {
      status = got;
      done();
    });
  });
}
