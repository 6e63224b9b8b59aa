import * as z from 'zod';
import { section } from '../fields/field.ts';
import { text } from '../fields/fields.ts';
import { routeSections, sharedSections } from './schema.ts';

const source = text(undefined, 'Where this is known from.');

/** What a preset may say, built in or a user's own: the keys of an upstream, with the source of each fact. */
export const presetSchema = section('What is known about an API.', {
  about: text(undefined, 'In one sentence.'),
  source,
  sources: z.record(z.string(), text(undefined, 'Where this key is known from.')).optional(),
  ...sharedSections,
  routes: z
    .array(section('An endpoint that is treated in its own way.', { source, ...routeSections }))
    .optional(),
});

export type PresetInput = z.output<typeof presetSchema>;
