import * as z from 'zod';
import { section } from '../fields/field.ts';
import { percentage, text } from '../fields/fields.ts';
import { checkHeaderValue } from '../fields/words.ts';

export const tracing = section('Traces of calls, sent by OTLP (OpenTelemetry).', {
  otlp: text(
    undefined,
    'URL of the collector, such as http://collector:4318. Traces go to /v1/traces below it, by OTLP/HTTP with protobuf. Turns tracing on.',
  ),
  sample: percentage(
    '10%',
    'Share of the traces that begin here. If a client sends traceparent, its flag decides.',
    'traces nothing; write more than 0%, or remove otlp',
  ),
  service: text('breakwater', 'service.name of this proxy.'),
  headers: z
    .record(z.string(), text(undefined, 'A header of each export.', checkHeaderValue))
    .register(z.globalRegistry, { description: 'Headers of each export, such as authorization.' })
    .optional(),
});
