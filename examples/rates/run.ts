import { parseArgs } from 'node:util';
import { runRates } from './rates.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    fast: { type: 'boolean', default: false },
  },
});

const { readings } = await runRates({
  runs: Number(values.runs),
  seed: Number(values.seed),
  fast: values.fast,
  say: (line) => console.log(line),
});
process.exitCode = readings.every(({ status }) => status === 200) ? 0 : 1;
