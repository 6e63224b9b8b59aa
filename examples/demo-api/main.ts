import { readArguments, whole, words } from '../lib/arguments.ts';
import { startDemoApi } from './server.ts';

const { values } = readArguments({
  port: whole(8090, 0, 65_535),
  host: words('127.0.0.1'),
  seed: whole(1),
  habits: words(''),
});

const api = await startDemoApi(values);
console.log(`demo API on ${api.url}; try: curl ${api.url}/`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void api.close());
}
