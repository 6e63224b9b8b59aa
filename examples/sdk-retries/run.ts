import { readArguments } from '../lib/arguments.ts';

readArguments({});
// The SDKs are not among the packages of `npm ci`, and a wrong call is reported without them.
const { table } = await import('./measure.ts').catch((error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error('The SDKs are missing. Install them: npm ci --workspaces --include-workspace-root');
  process.exit(1);
});
console.log('Attempts at the API: the SDK alone → with a proxy that retries too → with Breakwater\n');
console.log(await table());
