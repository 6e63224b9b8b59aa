import { anthropic } from './anthropic.ts';
import { atlassian } from './atlassian.ts';
import { aws } from './aws.ts';
import { azureOpenai } from './azure-openai.ts';
import { discord } from './discord.ts';
import { github } from './github.ts';
import { google } from './google.ts';
import { googleMaps } from './google-maps.ts';
import { openai } from './openai.ts';
import type { Preset } from './preset.ts';
import { shopify } from './shopify.ts';
import { slack } from './slack.ts';
import { stripe } from './stripe.ts';
import { twilio } from './twilio.ts';

/** The built-in presets, by the name for `preset:`. */
export const PRESETS: Readonly<Record<string, Preset>> = {
  stripe,
  openai,
  'azure-openai': azureOpenai,
  anthropic,
  github,
  slack,
  twilio,
  shopify,
  aws,
  // Before google, whose hosts include its host.
  'google-maps': googleMaps,
  google,
  atlassian,
  discord,
};
