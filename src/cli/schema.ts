import { configJsonSchema } from '../config/show/json-schema.ts';
import { renderOptionsTable } from '../config/show/options-table.ts';
import { readArgs } from './args.ts';
import type { Command } from './io.ts';

const USAGE = {
  text: `Usage: breakwater schema [--markdown]

Prints the JSON Schema (draft 2020-12) of config.yaml, for editors:
  breakwater schema > config.schema.json

  --markdown   all keys as a Markdown table instead
  -h, --help   this text
`,
  options: { markdown: { type: 'boolean', default: false } },
  words: [],
} as const;

/** Prints what can be configured, for machines or for people. */
export const schema: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  io.out(called.values.markdown ? renderOptionsTable() : `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
};
