import { configJsonSchema } from '../config/show/json-schema.ts';
import { renderOptionsTable } from '../config/show/options-table.ts';
import { readArgs } from './args.ts';
import type { Command } from './io.ts';

const USAGE = {
  text: `Usage: breakwater schema [--markdown]

Prints the JSON Schema (draft 2020-12) of config.yaml, for editors:
  breakwater schema > config.schema.json

  --markdown   print all keys as a Markdown table
  -h, --help   this text
`,
  options: { markdown: { type: 'boolean', default: false } },
  words: [],
} as const;

/** `breakwater schema`: prints all keys as JSON Schema or as a table. */
export const schema: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  io.out(called.values.markdown ? renderOptionsTable() : `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
};
