import {
  boolCoreTag,
  floatCoreTag,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  type ScalarTagDefinition,
} from 'js-yaml';

/** The types of values without quotes, in the order in which they are tried (YAML 1.2.2 §10.3). */
const TYPES: readonly ScalarTagDefinition[] = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag];

/** The types whose values begin with a character. Most values begin with another one, and are text. */
const BY_FIRST = Map.groupBy(
  TYPES.flatMap((type) => (type.implicitFirstChars ?? []).map((first) => ({ first, type }))),
  ({ first }) => first,
);

/** The value of a text without quotes and tag: null, a boolean, a number, or the text itself. */
export function plainValue(text: string): unknown {
  for (const { type } of BY_FIRST.get(text.charAt(0)) ?? []) {
    const value = type.resolve(text, false, type.tagName);
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

const STANDARD = 'tag:yaml.org,2002:';

/** The value of a text with an explicit tag, such as `!!str`; undefined if it does not fit the tag, or the tag is unknown. */
export function taggedValue(text: string, tag: string): unknown {
  if (tag === '!' || tag === '!!str') return text;
  const type = TYPES.find(({ tagName }) => tagName === STANDARD + tag.slice(2));
  const value = type?.resolve(text, true, type.tagName);
  return value === NOT_RESOLVED ? undefined : value;
}
