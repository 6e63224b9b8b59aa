import { onTestFinished } from 'vitest';
import { type EngineLink, linkTo as open } from '../../bench/lib/engine-link.ts';

/** A link that ends when the test has finished. */
export async function linkTo(engineUrl: string): Promise<EngineLink> {
  const link = await open(engineUrl);
  onTestFinished(() => link.close());
  return link;
}
