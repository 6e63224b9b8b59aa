import type { Claim, Next } from '../../src/durable/store/store.ts';

/** The expected state of one request. `wake` is when it may be claimed; Infinity: not before another event. */
export interface Expected {
  readonly seq: number;
  readonly id: string;
  readonly route: string;
  readonly orderKey: string | null;
  status: 'queued' | 'waiting' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  due: number;
  wake: number;
  /** The reason why it waits for another event. */
  parked: 'key' | 'paused' | undefined;
  owner: string | undefined;
  attempt: number;
  counted: number;
  /** How often it has ended since it was accepted or restarted. */
  ends: number;
}

const FINAL: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled']);

/** The rules of the store without SQL. Every answer of the store is compared with it. */
/** After the end of every history. */
export const DEADLINE = 1_000_000;

export class Model {
  readonly jobs: Expected[] = [];
  readonly paused = new Set<string>();

  get live(): Expected[] {
    return this.jobs.filter(({ status }) => !FINAL.has(status));
  }

  submit(id: string, more: { route: string; orderKey: string | null; due: number }): void {
    const parked = this.#busy(more) ? 'key' : undefined;
    this.jobs.push({
      ...more,
      seq: this.jobs.length,
      id,
      status: 'queued',
      wake: parked ? DEADLINE : more.due,
      parked,
      owner: undefined,
      attempt: 0,
      counted: 0,
      ends: 0,
    });
  }

  claim({ owner, now, leaseMs, limit }: Claim): Expected[] {
    for (const job of this.live)
      if (job.status !== 'running' && job.wake <= now && this.paused.has(job.route)) {
        job.parked = 'paused';
        job.wake = Number.POSITIVE_INFINITY;
      }
    const due = this.live
      .filter(({ wake }) => wake <= now)
      .sort((a, b) => a.wake - b.wake || a.seq - b.seq)
      .slice(0, limit);
    for (const job of due)
      Object.assign(job, { status: 'running', owner, attempt: job.attempt + 1, wake: now + leaseMs });
    return due;
  }

  settle(
    claim: { id: string; owner: string; attempt: number },
    next: Next,
    sent: boolean,
    now: number,
  ): boolean {
    const job = this.#of(claim.id);
    if (job.status !== 'running' || job.owner !== claim.owner || job.attempt !== claim.attempt) return false;
    job.owner = undefined;
    if (!sent) job.attempt--;
    if (next.kind === 'end') {
      if (sent) job.counted++;
      this.#end(job, next.status, now);
      return true;
    }
    if (next.counts) job.counted++;
    job.status = job.attempt > 0 ? 'waiting' : 'queued';
    job.due = job.wake = next.dueAt;
    return true;
  }

  cancel(id: string, now: number): boolean {
    const job = this.#of(id);
    if (job.status !== 'queued' && job.status !== 'waiting') return false;
    this.#end(job, 'cancelled', now);
    return true;
  }

  retry(id: string, now: number, force: boolean): boolean {
    const job = this.#of(id);
    if (job.status === 'running' || (job.status === 'succeeded' && !force)) return false;
    if (FINAL.has(job.status)) {
      const busy = this.#busy(job);
      Object.assign(job, { status: 'queued', counted: 0, due: now, wake: now, parked: undefined, ends: 0 });
      if (busy) Object.assign(job, { parked: 'key', wake: DEADLINE });
      return true;
    }
    job.due = now;
    if (job.parked === 'key') return true;
    job.parked = undefined;
    job.wake = now;
    return true;
  }

  resume(route: string, now: number): void {
    this.paused.delete(route);
    for (const job of this.live) {
      if (job.route !== route || job.parked !== 'paused') continue;
      job.parked = undefined;
      job.wake = Math.max(job.due, now);
    }
  }

  moveDue(route: string, until: number, spreadMs: number): number {
    const moved = this.live
      .filter(
        (job) =>
          job.route === route && job.status !== 'running' && job.parked === undefined && job.wake < until,
      )
      .sort((a, b) => a.wake - b.wake || a.seq - b.seq);
    for (const [n, job] of moved.entries())
      job.due = job.wake = until + Math.floor((spreadMs * n) / moved.length);
    return moved.length;
  }

  #end(job: Expected, status: Expected['status'], now: number): void {
    Object.assign(job, { status, wake: Number.POSITIVE_INFINITY, parked: undefined, owner: undefined });
    job.ends++;
    const queue = this.#queue(job);
    const [first] = queue;
    if (first === undefined || queue.some(({ parked }) => parked !== 'key')) return;
    first.parked = undefined;
    first.wake = Math.max(first.due, now);
  }

  #busy(job: Pick<Expected, 'orderKey' | 'route'>): boolean {
    return this.#queue(job).length > 0;
  }

  /** All requests of a history have one caller. */
  #queue({ orderKey, route }: Pick<Expected, 'orderKey' | 'route'>): Expected[] {
    return orderKey === null
      ? []
      : this.live.filter((job) => job.orderKey === orderKey && job.route === route);
  }

  #of(id: string): Expected {
    return this.jobs.find((job) => job.id === id) as Expected;
  }
}
