import * as z from 'zod';
import { section } from '../fields/field.ts';
import { text, texts } from '../fields/fields.ts';
import { routeSections, sharedSections } from './schema.ts';

const source = text(undefined, 'Documentation of these facts.');

/** The keys of a preset, built in or a user's own: those of an upstream, with the source of each fact. */
export const presetSchema = section('What is known about an API.', {
  about: text(undefined, 'What the preset knows, in one sentence.'),
  hosts: texts('Host names of the API; * is any text.').optional(),
  url: text(undefined, 'URL of the API, with placeholders such as {shop}. Default of url.'),
  source,
  verified: text(undefined, 'The day on which the sources were last read: 2026-11-30.'),
  sources: z.record(z.string(), text(undefined, 'Documentation of this key.')).optional(),
  ...sharedSections,
  routes: z
    .array(section('An endpoint that is treated in its own way.', { source, ...routeSections }))
    .optional(),
});

export type PresetInput = z.output<typeof presetSchema>;
