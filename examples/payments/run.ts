import { positive, readArguments, whole } from '../lib/arguments.ts';
import { runPayments } from './payments.ts';

const { values } = readArguments({ payments: whole(5), seed: whole(1), speed: positive(1) });

const { paid } = await runPayments({
  ...values,
  say: (line) => console.log(line),
});
process.exitCode = paid.every(({ status }) => status === 'succeeded') ? 0 : 1;
