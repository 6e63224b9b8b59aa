import type { Resource } from '../resources.ts';
import type { Wish } from '../wish.ts';
import { anthropic } from './anthropic.ts';
import type { Question, StreamApi } from './api.ts';
import { google } from './google.ts';
import { numbers } from './numbers.ts';
import { ollama } from './ollama.ts';
import { azureChat, openaiChat, openaiResponses } from './openai.ts';

const APIS: readonly StreamApi[] = [openaiChat, azureChat, openaiResponses, anthropic, google, ollama];

/** A request to an API that can answer by a stream. */
export interface Asked {
  readonly api: StreamApi;
  readonly question: Question;
  /** The answer is a stream, and not one reply. */
  readonly streamed: boolean;
}

/** Number of pieces of an answer, unless `sse=` says another. */
const PIECES = 5;

const SENTENCE = 'Ships wait behind the breakwater until the storm has passed.'.split(/(?<= )/);

/** 300 KiB: more than any buffer on the way has by default. */
const LARGE = 'x'.repeat(300 * 1024);

/** The API at `path`; undefined if the reply there is no stream. */
export function askedAt(path: string, wish: Wish, body: Buffer): Asked | undefined {
  const api = APIS.find((one) => one.path.test(path)) ?? (wish.events === undefined ? undefined : numbers);
  if (api === undefined) return undefined;
  const given = parsed(body);
  const question = {
    pieces: piecesOf(wish),
    model: modelOf(path, given),
    body: given,
  };
  return { api, question, streamed: body.length === 0 || api.streams(given, path) };
}

/** The path names the model, or the body does. */
function modelOf(path: string, { model }: Resource): string {
  const [, inPath] = /\/(?:models|deployments)\/([^/:]+)/.exec(path) ?? [];
  return inPath ?? (typeof model === 'string' ? model : 'demo');
}

function piecesOf({ events, forms }: Wish): readonly string[] {
  const pieces = Array.from({ length: events ?? PIECES }, (_, i) => SENTENCE[i % SENTENCE.length] as string);
  return forms.has('large') ? pieces.with(Math.min(1, pieces.length - 1), LARGE) : pieces;
}

function parsed(body: Buffer): Resource {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? (value as Resource) : {};
  } catch {
    return {};
  }
}
