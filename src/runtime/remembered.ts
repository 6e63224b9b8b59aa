/** Then all results are forgotten. The number of different texts has no bound. */
const MOST = 500;

/** In characters. The result for a longer text is computed each time. */
const LONGEST = 256;

/** `compute`, which remembers its results: for texts that most calls repeat. */
export function remembered<T extends object | string | boolean>(
  compute: (text: string) => T,
): (text: string) => T {
  const results = new Map<string, T>();
  return (text) => {
    const known = results.get(text);
    if (known !== undefined) return known;
    const result = compute(text);
    if (results.size >= MOST) results.clear();
    if (text.length <= LONGEST) results.set(text, result);
    return result;
  };
}
