/** The candidate that was probably meant: at most a third of its letters are different, or one if the first letter is. */
export function didYouMean(found: string, candidates: Iterable<string>): string | undefined {
  const word = fold(found);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(word, fold(candidate));
    const third = Math.ceil(Math.max(word.length, candidate.length) / 3);
    // Few mistype the first letter: "retries" does not mean "metrics".
    const allowed = word[0] === candidate[0] ? Math.max(1, third) : 1;
    if (distance > allowed || distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** maxAttempts, max-attempts and max_attempts are one word. */
const fold = (word: string): string => word.toLowerCase().replace(/[-_]/g, '');

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours count one each. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + same, swapped));
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY;
