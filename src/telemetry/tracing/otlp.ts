import { type Link, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Clock } from '../../runtime/clock.ts';
import type { TracingOptions } from './options.ts';
import type { SpanData } from './spans.ts';

/** Spans that wait for the collector or are on their way to it, usually about 4 MB. Further ones are dropped. */
const MOST_QUEUED = 4_096;

/** A batch is sent after this time, or when it is full. */
const BATCH_MS = 2_000;
const MOST_IN_BATCH = 512;

/** The longest time for one batch, its repetitions included. */
const EXPORT_MS = 10_000;
const OVERDUE = `no complete answer within ${EXPORT_MS / 1_000}s`;

/** Longer texts are cut. A client can make a path longer than this, but not the texts of the proxy. */
const MAX_ATTRIBUTE_CHARACTERS = 2_048;

/** Numbers of spans since the start, by what became of them. */
export interface SpanCounts {
  exported: number;
  /** The collector did not take them. */
  failed: number;
  /** The queue was full. */
  dropped: number;
}

export interface ExportDeps {
  readonly clock: Pick<Clock, 'timer'>;
  readonly version: string;
  /** Tells the instances of one service apart. */
  readonly instance: string;
  /** Counted up here; shared by all exports of the process. */
  readonly counts: SpanCounts;
  /** Called after each batch; `error` if the collector did not take it. */
  readonly onBatch: (error: Error | undefined) => void;
}

/** Gives the SDK the ids that the attempts have already carried to the upstream. */
class GivenIds implements IdGenerator {
  next: Pick<SpanData, 'traceId' | 'spanId'> = { traceId: '', spanId: '' };
  readonly generateTraceId = (): string => this.next.traceId;
  readonly generateSpanId = (): string => this.next.spanId;
}

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/** Sends spans to a collector by OTLP/HTTP, with OpenTelemetry's SDK. Loaded only if tracing is configured. */
export class OtlpExport {
  readonly #ids = new GivenIds();
  readonly #counts: SpanCounts;
  readonly #provider: TracerProvider;
  #queued = 0;

  constructor(
    { headers, service, url }: TracingOptions,
    { clock, counts, instance, onBatch, version }: ExportDeps,
  ) {
    this.#counts = counts;
    const exporter = new OTLPTraceExporter({
      url,
      headers: Object.fromEntries(headers.set),
      timeoutMillis: EXPORT_MS,
    });
    const resource = resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
    });
    this.#provider = new TracerProvider({
      idGenerator: this.#ids,
      // The decision was made when the call came in.
      sampler: new AlwaysOnSampler(),
      resource: defaultResource().merge(resource),
      spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_CHARACTERS },
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: this.#counting(exporter, clock, onBatch),
          maxQueueSize: MOST_QUEUED,
          maxExportBatchSize: MOST_IN_BATCH,
          scheduledDelayMillis: BATCH_MS,
          exportTimeoutMillis: EXPORT_MS,
        }),
      ],
    });
  }

  add(spans: readonly SpanData[]): void {
    if (this.#queued + spans.length > MOST_QUEUED) {
      this.#counts.dropped += spans.length;
      return;
    }
    this.#queued += spans.length;
    for (const span of spans) this.#record(span);
  }

  /** Sends what waits. Resolves also if the collector does not take it. */
  async close(): Promise<void> {
    await this.#provider.shutdown().catch(() => undefined);
  }

  #record(span: SpanData): void {
    const { traceId, parentId, startedAt } = span;
    this.#ids.next = span;
    const parent =
      parentId === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED });
    const recorded = this.#provider.getTracer('breakwater').startSpan(
      span.name,
      {
        kind: KINDS[span.kind],
        startTime: startedAt,
        attributes: span.attributes,
        links: span.link === undefined ? [] : [linkTo(span.link)],
      },
      parent,
    );
    for (const { name, atMs, attributes } of span.events)
      recorded.addEvent(name, attributes, startedAt + atMs);
    if (span.error !== undefined) recorded.setStatus({ code: SpanStatusCode.ERROR, message: span.error });
    recorded.end(span.endedAt);
  }

  #counting(
    exporter: OTLPTraceExporter,
    clock: ExportDeps['clock'],
    onBatch: ExportDeps['onBatch'],
  ): SpanExporter {
    return {
      export: (spans, done) => {
        let ended = false;
        const end: typeof done = (result) => {
          if (ended) return;
          ended = true;
          limit.cancel();
          const failure = result.code === 0 ? undefined : failureOf(result.error);
          this.#counts[failure === undefined ? 'exported' : 'failed'] += spans.length;
          this.#queued -= spans.length;
          onBatch(failure);
          done(result);
        };
        // The SDK waits without limit for an answer whose bytes come slowly.
        const limit = clock.timer(EXPORT_MS, () => end({ code: 1, error: new Error(OVERDUE) }));
        exporter.export(spans, end);
      },
      shutdown: () => exporter.shutdown(),
    };
  }
}

/** A status says more than its phrase, which the collector may leave out or make long. */
function failureOf(error = new Error('no reason given')): Error {
  return 'code' in error && typeof error.code === 'number' ? new Error(`it answered ${error.code}`) : error;
}

function linkTo({ traceId, spanId }: NonNullable<SpanData['link']>): Link {
  return { context: { traceId, spanId, traceFlags: TraceFlags.SAMPLED } };
}
