/** Settles as `opening` does, or rejects with the reason of `giveUp`. The caller then ends the connection. */
export async function unlessAborted(opening: Promise<void>, giveUp: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(giveUp.reason as Error);
  giveUp.addEventListener('abort', onAbort);
  try {
    if (giveUp.aborted) onAbort();
    await Promise.race([opening, promise]);
  } finally {
    giveUp.removeEventListener('abort', onAbort);
  }
}
