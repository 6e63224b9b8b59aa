import { join } from 'node:path';
import { describe } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { contract } from './contract.ts';

describe('SQLite', () => {
  contract(async () => join(temporaryFolder(), 'store.db'), 120);
});
