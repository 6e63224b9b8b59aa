import { readFileSync } from 'node:fs';

/** Prints the CPU time of work that is always the same, in ms: how fast its core is at this moment. `node fixed-work.ts`. */
const NUMBERS = 1 << 18;
const STEPS = 400_000;
const WARM_UP = 5;
const TIMES = 10;

const numbers = Int32Array.from({ length: NUMBERS }, (_, i) => (i * 7919) & (NUMBERS - 1));
let at = 0;

/** Each step needs the one before it, and reads memory that is in no order. */
function work(): void {
  for (let i = 0; i < STEPS; i++) at = numbers[(at + i) & (NUMBERS - 1)] as number;
}

const cpuMs = () => Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[0]) / 1e6;

for (let i = 0; i < WARM_UP; i++) work();
const before = cpuMs();
for (let i = 0; i < TIMES; i++) work();
console.log((cpuMs() - before) / TIMES);
