import { readArguments, whole } from '../lib/arguments.ts';
import { runRates } from './rates.ts';

const { values } = readArguments({ runs: whole(3), seed: whole(1), fast: false });

const { readings } = await runRates({
  ...values,
  say: (line) => console.log(line),
});
process.exitCode = readings.every(({ status }) => status === 200) ? 0 : 1;
