import { parseArgs } from 'node:util';
import { startDemoApi } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8090' },
    host: { type: 'string', default: '127.0.0.1' },
    seed: { type: 'string', default: '1' },
    habits: { type: 'string', default: '' },
  },
});

const { host, habits } = values;
const api = await startDemoApi({ port: Number(values.port), host, seed: Number(values.seed), habits });
console.log(`demo API on ${api.url}; try: curl ${api.url}/`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void api.close());
}
