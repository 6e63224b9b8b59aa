import type { Random } from '../runtime/random.ts';
import { EngineClock } from './engine-clock.ts';
import { Lead } from './lead.ts';
import { AHEAD_MS, type LeaseReply, type LeaseRequest, type Returned } from './ledger.ts';
import { EXACT, type WindowPlan } from './plan.ts';
import { Share } from './share.ts';

/** A rate is an average of about this time. */
const MEMORY_MS = 1_000;

/** Units for calls to come are leased for at most this time. */
const LONGEST_STOCK_MS = 1_000;

/** Units are replaced when this share of the time for which they may be used is left. The round trip takes some of it. */
const REPLACED_AT = 0.3;

/** From a window of which nothing is used, this many times the stock is leased, for calls that come in groups. */
const IDLE_FACTOR = 2;

/** Below this many units, calls to come are not worth a lease: most of the units would go unused. */
const SMALLEST_STOCK = 2;

/** Replicas that got nothing ask again within this time, so that not all of them ask at once. */
const LONGEST_APART_MS = 500;

/** Replicas come back to an engine that was gone within this time of each other, in milliseconds. */
export const RETURN_MS = 1_000;

/** A request that got nothing is repeated after at least this time. */
const PAUSE_MS = 5;

/** Units of one lease, with times of this process: the earliest and the latest moment at which the engine may have answered. */
interface Slice {
  readonly early: number;
  readonly late: number;
  /** The theoretical arrival time before the slice, in ms after the engine's answer. */
  readonly offset: number;
  readonly units: number;
  /** The engine's theoretical arrival time after the slice. */
  readonly end: number;
  /** Units that were used, or that are too late. */
  gone: number;
  /** Those of them that were too late, and are not returned yet. */
  unused: number;
}

/** Where the units of one call came from: one slice, or parts of several. Undefined: they were not leased. */
export type Receipt = Slice | readonly (readonly [slice: Slice, units: number])[] | undefined;

/** The latest news of the engine. `at`: when, at the latest. */
interface Heard {
  readonly reply: LeaseReply;
  readonly at: number;
}

const NOTHING_BACK: Returned = { units: 0, end: 0 };

/**
 * The units of one window that a replica holds. Pure: `now` is real milliseconds of this process, which go on while it is stopped
 * (SIGSTOP), unlike `Clock.now`.
 *
 * - `leased`: units come from the engine. A request whose reply does not come leaves its units unused.
 * - `share`: the engine is gone or slow, or has lost its state. Units come from a fixed share. If there is a connection, they are reported
 *   to the engine, as far ahead as it gives units to others. So those get fewer in time.
 */
export class Lease {
  readonly #plan: WindowPlan;
  readonly #random: Random;
  readonly #clock = new EngineClock();
  #slices: Slice[] = [];
  /** No unit is too late before. */
  #expiresAt = -Infinity;
  #heard: Heard | undefined;
  readonly #lead = new Lead();
  #share: Share | undefined;
  #away = false;
  /** The engine was gone, since it was used last. */
  #gone = false;
  /** Until then the share is used after the engine was gone. */
  #returnsUntil = -Infinity;
  /** Calls that wait, in units, and units of the first of them. */
  #waiting = 0;
  #need = 1;
  /** Units used, averaged. */
  #used = 0;
  #usedAt = -Infinity;
  /** The request that runs, and may still get its reply in time. */
  #asking: LeaseRequest | undefined;
  #askAt = -Infinity;
  /** Units that were used without a lease, and that no request has reported. */
  #owed = 0;
  #back: Returned = NOTHING_BACK;
  #replicas = 1;
  #connected = false;

  constructor(plan: WindowPlan, random: Random) {
    this.#plan = plan;
    this.#random = random;
  }

  /** Whether units come from the share. */
  isShare(now: number): boolean {
    return this.#away || now < this.#shareUntil;
  }

  get #shareUntil(): number {
    return Math.max(this.#holdUntil, this.#returnsUntil);
  }

  /**
   * The engine is not to be used (`true`), or is again. After it was gone, the share is used until the others have come back too: those that
   * have not use their shares, and the engine does not know it. `connected`: it is slow, but there. `replicas`: how many share the window.
   */
  setAway(
    away: boolean,
    now: number,
    { connected, replicas }: { connected: boolean; replicas: number },
  ): void {
    this.#endShare(now);
    if (this.#away && !away && this.#gone) this.#returnsUntil = now + RETURN_MS;
    this.#gone = away && (this.#gone || !connected);
    this.#away = away;
    this.#connected = connected;
    this.#replicas = Math.max(1, replicas);
  }

  /** When `units` may be used after `ahead` others. A moment in the future is an estimate if they are not leased yet. */
  readyAt(ahead: number, units: number, now: number): number {
    this.#expire(now);
    const all = ahead + Math.min(units, this.#plan.most);
    const at = this.#heldAt(all, now);
    if (at !== undefined) return at;
    const held = this.#held();
    const share = this.#shareFor(all - held, now);
    if (share !== undefined) return share.readyAt(Math.max(0, ahead - held), units, now);
    return Math.max(now + PAUSE_MS, this.#estimate(all - held, now));
  }

  /** Call at `readyAt` or later. Units that are held are taken even if rounding says that it is too early. */
  take(units: number, now: number): Receipt {
    this.#expire(now);
    const taken = Math.min(units, this.#plan.most);
    this.#used = this.#perMemory(now) + taken;
    this.#usedAt = now;
    // It has been waiting until now. `wanted` says it exactly.
    this.#waiting = Math.max(0, this.#waiting - taken);
    if (this.#held() + EXACT >= taken) return this.#takeHeld(taken);
    const share = this.#shareFor(taken, now);
    // Those that were held are too late by now.
    const unreported = share?.use(taken, now) ?? taken;
    if (share !== undefined && !this.#connected) share.owe(unreported, now);
    else this.#owed += unreported;
    return undefined;
  }

  #takeHeld(taken: number): Receipt {
    let parts: (readonly [Slice, number])[] | undefined;
    let missing = taken;
    for (const slice of this.#slices) {
      const part = Math.min(missing, slice.units - slice.gone);
      if (part <= 0) continue;
      slice.gone += part;
      if (part === taken) return slice;
      missing -= part;
      (parts ??= []).push([slice, part]);
    }
    return parts;
  }

  /** Returns the units of a call that were not used. The next call uses them, if they are not too late by then. */
  refund(units: number, receipt: Receipt): void {
    if (receipt === undefined) return;
    const parts = 'gone' in receipt ? [[receipt, Math.min(units, this.#plan.most)] as const] : receipt;
    for (const [slice, part] of parts) {
      slice.gone -= part;
      this.#expiresAt = -Infinity;
      if (!this.#slices.includes(slice)) this.#slices.unshift(slice);
    }
  }

  /** The units of a call have cost `actual`. */
  correct(units: number, actual: number, now: number): void {
    const { most } = this.#plan;
    const more = Math.min(actual, most) - Math.min(units, most);
    if (more > 0) this.#owed += more;
    else this.#giveBack(-more, this.#heard?.reply.from ?? 0, now);
  }

  /** How many units the waiting calls need, and how many the first of them; 0: none waits. */
  wanted(units: number, first: number): void {
    this.#waiting = units;
    this.#need = Math.ceil(Math.min(Math.max(1, first), this.#plan.most));
  }

  /**
   * The next request; undefined if none is needed now. The caller reports its end by `heard` or `lost`, and by `late` if it takes long.
   * While units come from the share, it only reports them, so that the replicas that lease get fewer.
   */
  ask(now: number): LeaseRequest | undefined {
    this.#expire(now);
    if (this.isShare(now)) {
      this.#lead.share(now);
      // It begins now, whenever its first unit is used.
      this.#shareAt(now);
    }
    if (!this.#mayAsk || now < this.#askAt) return undefined;
    const want = this.isShare(now) ? 0 : this.#wantedNow(now);
    return want > 0 || this.#owing(now) >= 1 || (!this.isShare(now) && this.#back.units >= 1)
      ? this.#request(want, now)
      : undefined;
  }

  /** A request that only says what is known, after the engine has lost its state; undefined if nothing is known. */
  announce(now: number): LeaseRequest | undefined {
    return this.#heard !== undefined && this.#mayAsk ? this.#request(0, now) : undefined;
  }

  get #mayAsk(): boolean {
    return this.#connected && this.#asking === undefined;
  }

  /** Units to report. */
  #owing(now: number): number {
    const share = this.#share;
    if (share === undefined) return this.#owed;
    return this.#owed + share.owed(now) + share.unreported(this.#reportUntil(now), this.#perMs(now), now);
  }

  /** Units of the share that are used until then compete with those that the engine gives now. So they are reported now. */
  #reportUntil(now: number): number {
    return this.isShare(now) ? now + this.#lead.last(now) : now;
  }

  /** Units that are needed in a millisecond. */
  #perMs(now: number): number {
    return this.#waiting > 0 ? Infinity : this.#perMemory(now) / MEMORY_MS;
  }

  #request(want: number, now: number): LeaseRequest {
    const owed = this.#owing(now);
    this.#owed = 0;
    this.#share?.report(this.#reportUntil(now), this.#perMs(now), now);
    const back = this.#back;
    // If the reply does not come, it is unknown whether they went back.
    this.#back = NOTHING_BACK;
    const { burst, intervalMs } = this.#plan;
    const { ledger } = this.#heard?.reply ?? UNHEARD;
    const need = Math.max(1, Math.min(want, Math.ceil(this.#need - this.#held())));
    this.#asking = { intervalMs, burst, want, need, owed, back, known: ledger };
    return this.#asking;
  }

  /** When `ask` may have another answer; Infinity if only a call changes that. */
  askAt(now: number): number {
    if (!this.#mayAsk) return Infinity;
    if (this.#owing(now) >= 1) return Math.max(now, this.#askAt);
    if (this.#waiting <= 0) return Infinity;
    const end = this.#away ? Infinity : this.#shareUntil;
    if (now < end) {
      const dueAt = this.#shareAt(now).dueAt(1 - this.#owed) - this.#lead.last(now);
      return Math.min(end, Math.max(now + PAUSE_MS, dueAt));
    }
    if (this.#missing(now) <= 0) return Infinity;
    const soonest = this.#lead.most(now) === Infinity ? now : now + PAUSE_MS;
    return Math.max(soonest, this.#askAt, this.#lastsUntil(now) - AHEAD_MS / 2);
  }

  /**
   * The reply to a request that was sent at `sentAt`. Units of a late one may be used as those of any other, but not while units come from
   * the share: calls that waited for them have taken some of that.
   */
  heard(request: LeaseRequest, reply: LeaseReply, sentAt: number, now: number): void {
    this.late(request);
    this.#endShare(now);
    this.#clock.hear(reply.now, sentAt, now);
    this.#hear(reply);
    const { granted, from, ledger } = reply;
    if (granted >= this.#fair) this.#askAt = now + (this.#plan.apartMs ?? 0);
    this.#expiresAt = -Infinity;
    if (granted > 0 && !this.isShare(now))
      this.#slices.push({
        early: this.#clock.earliest(reply.now),
        late: this.#clock.latest(reply.now),
        offset: from - reply.now,
        units: granted,
        end: ledger.tat,
        gone: 0,
        unused: 0,
      });
    else if (request.want > 0) this.#askAt = this.#nextAsk(request.need, now);
  }

  #hear(reply: LeaseReply): void {
    if (reply.ledger.version < (this.#heard?.reply.ledger.version ?? 0)) return;
    this.#heard = { reply, at: this.#clock.latest(reply.now) };
    this.#lead.hear(reply, this.#heard.at);
  }

  /** The request has no reply in time. The next one may be sent. */
  late(request: LeaseRequest): void {
    if (this.#asking === request) this.#asking = undefined;
  }

  /** The request gets no reply any more. What it may have given is not used, and what it said is said again. */
  lost(request: LeaseRequest): void {
    this.late(request);
    this.#owed += request.owed;
  }

  /** Units that are left of the window, as the engine last said. */
  left(now: number): number {
    const { burst, intervalMs } = this.#plan;
    return burst - Math.max(0, this.#tatIn(now)) / intervalMs;
  }

  /**
   * The process ends: a request that returns everything that is held, and reports what was used without a lease, also to an engine
   * that is slow. Undefined: there is nothing to say.
   */
  giveUp(now: number): LeaseRequest | undefined {
    for (const slice of this.#slices) this.#giveBack(slice.units - slice.gone + slice.unused, slice.end, now);
    this.#slices = [];
    this.wanted(0, 1);
    this.#used = 0;
    this.#giveBack(this.#share?.reportedAhead(now) ?? 0, this.#heard?.reply.ledger.tat ?? 0, now);
    const owed = this.#owing(now);
    return owed > 0 || this.#back.units > 0 ? this.#request(0, now) : undefined;
  }

  get #holdUntil(): number {
    if (this.#heard === undefined) return -Infinity;
    const { at, reply } = this.#heard;
    return at + reply.ledger.holdUntil - reply.now;
  }

  /** The share, if `units` may come from it. After it was used, those may that were reported ahead. */
  #shareFor(units: number, now: number): Share | undefined {
    if (this.isShare(now)) return this.#shareAt(now);
    const share = this.#share;
    return share !== undefined && !share.isOver(now) && share.reportedAhead(now) + EXACT >= units
      ? share
      : undefined;
  }

  /** Nothing is left of a share that was used. The next one begins again, with what is known then. */
  #endShare(now: number): void {
    if (this.isShare(now) || this.#share?.isOver(now) !== true) return;
    this.#owed += this.#share.owed(now);
    this.#share = undefined;
  }

  #shareAt(now: number): Share {
    // An engine that is only slow will say soon what is left. Until then nothing is known, so the share begins empty.
    const { burst, intervalMs } = this.#plan;
    const most =
      this.#heard === undefined && this.#connected ? 0 : burst - this.#lead.longest(now) / intervalMs;
    const left = Math.min(this.left(now), most);
    const [plan, replicas, random] = [this.#plan, this.#replicas, this.#random];
    return (this.#share ??= new Share(plan, { replicas, left, random: random() }, now));
  }

  /** Milliseconds from `now` to the theoretical arrival time that was last heard. */
  #tatIn(now: number): number {
    if (this.#heard === undefined) return 0;
    const { at, reply } = this.#heard;
    return at + reply.ledger.tat - reply.now - now;
  }

  #estimate(missing: number, now: number): number {
    const { burst, intervalMs } = this.#plan;
    return now + Math.max(0, this.#tatIn(now)) + (missing - burst) * intervalMs;
  }

  /** At half of the time that units are given ahead, so that they arrive in time. The random part separates the replicas. */
  #nextAsk(need: number, now: number): number {
    const { burst, intervalMs } = this.#plan;
    const possible = now + this.#tatIn(now) + (need - burst) * intervalMs;
    const apartMs = Math.min(LONGEST_APART_MS, Math.max(AHEAD_MS / 4, (intervalMs * this.#replicas) / 2));
    return Math.max(now + PAUSE_MS, possible - AHEAD_MS / 2) + apartMs * this.#random();
  }

  #wantedNow(now: number): number {
    const { burst, intervalMs, lateMs } = this.#plan;
    const held = this.#held();
    const spare = this.#spare(now);
    if (this.#waiting <= 0 && this.#heldFor(REPLACED_AT * lateMs, now) >= REPLACED_AT * spare) return 0;
    if (this.#waiting > 0 && held >= this.#need && now < this.#lastsUntil(now) - AHEAD_MS / 2) return 0;
    const most = Math.max(this.#waiting > 0 ? this.#need : 1, this.#fair);
    const room = Math.floor((this.#lead.most(now) - this.#tatIn(now)) / intervalMs + burst);
    return room < this.#need ? 0 : Math.max(0, Math.min(this.#missing(now), most, room));
  }

  /** Units that are not held: for waiting calls and for calls to come. */
  #missing(now: number): number {
    return Math.ceil(
      this.#waiting + this.#spare(now) - this.#held() - (this.#share?.reportedAhead(now) ?? 0),
    );
  }

  /** Units for calls to come. */
  #spare(now: number): number {
    const { lateMs } = this.#plan;
    const stock = (this.#perMemory(now) / MEMORY_MS) * Math.min(LONGEST_STOCK_MS, lateMs);
    if (stock < SMALLEST_STOCK && lateMs < LONGEST_STOCK_MS) return 0;
    return this.#tatIn(now) > 0 ? stock : IDLE_FACTOR * stock;
  }

  /** The units of one request, if all replicas want some. */
  get #fair(): number {
    const { burst, intervalMs } = this.#plan;
    return Math.ceil((burst + AHEAD_MS / intervalMs) / this.#replicas);
  }

  #perMemory(now: number): number {
    return this.#used * Math.exp(-(now - this.#usedAt) / MEMORY_MS) || 0;
  }

  #held(): number {
    let held = 0;
    for (const { units, gone } of this.#slices) held += units - gone;
    return held;
  }

  /** Held units of leases that may still be used in `ms`. */
  #heldFor(ms: number, now: number): number {
    let held = 0;
    for (const slice of this.#slices)
      if (this.#lastOf(slice) + this.#plan.lateMs > now + ms) held += slice.units - slice.gone;
    return held;
  }

  /** When the last unit that is held may be used; `now` at least. */
  #lastsUntil(now: number): number {
    const last = this.#slices.at(-1);
    return last === undefined ? now : Math.max(now, this.#lastOf(last));
  }

  #lastOf({ late, offset, units }: Slice): number {
    const { burst, intervalMs } = this.#plan;
    return late + Math.max(0, offset + (units - burst) * intervalMs);
  }

  /** When `units` of those that are held may be used together; undefined if there are fewer. */
  #heldAt(units: number, now: number): number | undefined {
    const { burst, intervalMs } = this.#plan;
    let missing = units;
    for (const { late, offset, units: all, gone } of this.#slices) {
      if (all - gone + EXACT < missing) {
        missing -= all - gone;
        continue;
      }
      return Math.max(now, late + offset + (Math.ceil(gone + missing - EXACT) - burst) * intervalMs);
    }
    return undefined;
  }

  #expire(now: number): void {
    if (now <= this.#expiresAt) return;
    const { burst, intervalMs, lateMs } = this.#plan;
    this.#expiresAt = Infinity;
    for (const slice of this.#slices) {
      const { early, offset, units } = slice;
      const begun = early + lateMs;
      if (now > begun) {
        const late = Math.min(units, Math.floor((now - begun - offset) / intervalMs + burst));
        if (late > slice.gone) {
          slice.unused += late - slice.gone;
          slice.gone = late;
        }
      }
      const next = begun + Math.max(0, offset + (Math.floor(slice.gone) + 1 - burst) * intervalMs);
      this.#expiresAt = Math.min(this.#expiresAt, next);
    }
    if (!this.#slices.some(isOver)) return;
    for (const slice of this.#slices) {
      if (!isOver(slice)) continue;
      this.#giveBack(slice.unused, slice.end, now);
      slice.unused = 0;
    }
    this.#slices = this.#slices.filter((slice) => !isOver(slice));
  }

  /** The earlier end counts for both, so that not too much comes back. Units that time has refilled are not worth a request. */
  #giveBack(units: number, end: number, now: number): void {
    if (units <= 0 || this.#clock.latest(end) <= now) return;
    const back = this.#back;
    this.#back =
      back.units === 0 ? { units, end } : { units: back.units + units, end: Math.min(back.end, end) };
  }
}

const isOver = ({ units, gone }: Slice): boolean => units - gone <= EXACT;

const UNHEARD = { ledger: { version: 0, tat: 0, holdUntil: 0 } };
