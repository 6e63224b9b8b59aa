/** Runs `callback` when the event loop has handled all that has come in by now: the moment to hand on what gathered. */
export function endOfTurn(callback: () => void): void {
  setImmediate(callback);
}
