import { parseArgs } from 'node:util';
import { runPayments } from './payments.ts';

const { values } = parseArgs({
  options: {
    payments: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    speed: { type: 'string', default: '1' },
  },
});

const { paid } = await runPayments({
  payments: Number(values.payments),
  seed: Number(values.seed),
  speed: Number(values.speed),
  say: (line) => console.log(line),
});
process.exitCode = paid.every(({ status }) => status === 'succeeded') ? 0 : 1;
