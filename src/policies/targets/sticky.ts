import type { Target } from './target.ts';

/**
 * The target for a value of the sticky header, the same for all proxies with these targets (weighted rendezvous hashing: Thaler and
 * Ravishankar, 1998). If one target comes or goes, only its own values move. Targets of the lowest tier take all values.
 */
export function stickyTarget(targets: readonly Target[], value: string): Target | undefined {
  const inService = targets.filter(({ state }) => !state.out);
  const tier = Math.min(...inService.map(({ state }) => state.load.tier));
  let best: Target | undefined;
  let bestScore = -Infinity;
  for (const target of inService) {
    const { load } = target.state;
    if (load.tier !== tier) continue;
    const score = -load.weight / Math.log(fraction(`${value}\0${target.name}`));
    if (score <= bestScore) continue;
    best = target;
    bestScore = score;
  }
  return best;
}

/** A number between 0 and 1 that looks random: FNV-1a, mixed by the last steps of MurmurHash3. */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32 || Number.EPSILON;
}
