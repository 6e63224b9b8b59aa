import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from './process.ts';

/**
 * Counts the instructions that a program executes in user space, with valgrind's callgrind. Unlike CPU time, they do not depend on
 * other load and on the speed of the machine.
 */
export class Callgrind {
  readonly #dir: string;
  #dumps = 0;

  /** `dir`: an empty folder for its files. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The command that runs `command`, which must be one of Node, under callgrind. */
  readonly wrap = (command: Command): Command => ({
    ...command,
    file: 'valgrind',
    args: [
      '--tool=callgrind',
      `--callgrind-out-file=${join(this.#dir, 'out')}`,
      // V8 writes new code over old.
      '--smc-check=all-non-file',
      '--dump-instr=yes',
      '--compress-strings=no',
      '--compress-pos=no',
      command.file,
      '--perf-basic-prof',
      `--perf-basic-prof-path=${this.#dir}`,
      ...command.args,
    ],
    // It is fifty times slower.
    listenTimeoutMs: 300_000,
  });

  begin(pid: number): void {
    control('--zero', pid);
  }

  /** Instructions since `begin`, by the name of their function. */
  end(pid: number): ReadonlyMap<string, number> {
    control('--dump', pid);
    const dump = readFileSync(join(this.#dir, `out.${++this.#dumps}`), 'latin1');
    const names = readFileSync(join(this.#dir, `perf-${pid}.map`), 'latin1');
    return costs(dump, new CodeMap(names));
  }
}

function control(order: string, pid: number): void {
  execFileSync('callgrind_control', [order, String(pid)], { stdio: 'ignore' });
}

/** Code that V8 has made, by address. */
class CodeMap {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #names: string[] = [];

  /** `text`: lines of start, length and name, the oldest first. */
  constructor(text: string) {
    const entries = new Map<number, { end: number; name: string }>();
    for (const line of text.split('\n')) {
      const [, start = '', length = '', name = ''] = /^([\da-f]+) ([\da-f]+) (.*)$/.exec(line) ?? [];
      // Later code replaces earlier code at the same place.
      if (name !== '')
        entries.set(parseInt(start, 16), { end: parseInt(start, 16) + parseInt(length, 16), name });
    }
    for (const [start, { end, name }] of [...entries].sort(([a], [b]) => a - b)) {
      this.#starts.push(start);
      this.#ends.push(end);
      this.#names.push(name);
    }
  }

  nameAt(address: number): string | undefined {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] as number) <= address) low = middle + 1;
      else high = middle;
    }
    return low > 0 && address < (this.#ends[low - 1] as number) ? this.#names[low - 1] : undefined;
  }
}

/** Reads a dump: blocks of `fn=NAME` with lines of address, line number and cost. The cost of a call stands after `calls=`. */
function costs(dump: string, code: CodeMap): Map<string, number> {
  const found = new Map<string, number>();
  let [name, inCode, isCall] = ['', false, false];
  for (const line of dump.split('\n')) {
    if (line.startsWith('fn=')) name = line.slice(3);
    else if (line.startsWith('ob=')) inCode = line === 'ob=???';
    else if (line.startsWith('calls=')) isCall = true;
    else if (line.startsWith('0x')) {
      const [address = '', , cost = '0'] = line.split(' ');
      if (!isCall) {
        const owner = (inCode ? code.nameAt(Number(address)) : undefined) ?? name;
        found.set(owner, (found.get(owner) ?? 0) + Number(cost));
      }
      isCall = false;
    }
  }
  return found;
}
