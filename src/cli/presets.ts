import { presetFile, presetOf, presetTable } from '../config/resolve/preset.ts';
import { readArgs } from './args.ts';
import type { Command } from './io.ts';

const ABOUT = `Prints a preset: known facts about an API, with the source of each. NAME may also be a host name or a URL of the API.
You can start your own preset file from it:
  breakwater presets stripe > my-stripe.yaml      # and in config.yaml: preset: ./my-stripe.yaml`;

const OPTIONS = '  -h, --help   this text\n\nExit codes: 0 success, 1 unknown preset, 2 wrong usage.\n';

const LIST = {
  text: `Usage: breakwater presets [NAME]\n\n${ABOUT}\nWithout a name it prints a table of all presets, in Markdown.\n\n${OPTIONS}`,
  options: {},
  words: [],
} as const;

const ONE = { ...LIST, words: ['NAME'] } as const;

/** `breakwater presets`: prints the table of built-in presets, or one of them. */
export const presets: Command = async (args, io) => {
  const named = args.some((arg) => !arg.startsWith('-'));
  const called = readArgs(args, named ? ONE : LIST, io);
  if ('exit' in called) return called.exit;
  const [name] = called.words;
  if (name === undefined) {
    io.out(presetTable());
    return 0;
  }
  const found = presetFile(presetOf(hostOf(name)) ?? name);
  if ('problem' in found) {
    io.err(`${found.problem}\n`);
    return 1;
  }
  io.out(found.text);
  return 0;
};

/** The host of a URL, or of `host/path`; any other word as it is. */
function hostOf(word: string): string {
  return /^(?:https?:\/\/)?([^/:?#]+)/i.exec(word)?.[1] ?? word;
}
