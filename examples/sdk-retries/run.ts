import { readArguments } from '../lib/arguments.ts';
import { table } from './measure.ts';

readArguments({});
console.log('Attempts at the API: the SDK alone → with a proxy that retries too → with Breakwater\n');
console.log(await table());
