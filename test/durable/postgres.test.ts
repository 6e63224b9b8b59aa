import { afterAll, beforeAll, describe } from 'vitest';
import { contract } from './contract.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer | undefined;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());
const where = () => (server as PostgresServer).freshUrl();

describe.skipIf(MISSING !== undefined)(`PostgreSQL ${MISSING ?? ''}`, () => {
  contract(where, 40);
});
