/** Runs `callback` when the event loop has handled all input that has arrived by now, to pass on gathered items together. */
export function endOfTurn(callback: () => void): void {
  setImmediate(callback);
}
