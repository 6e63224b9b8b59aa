import type { PresetExamples } from '../../support/preset-examples.ts';
import { anthropic } from './anthropic.ts';
import { atlassian } from './atlassian.ts';
import { aws } from './aws.ts';
import { azureOpenai } from './azure-openai.ts';
import { discord } from './discord.ts';
import { github } from './github.ts';
import { google } from './google.ts';
import { googleMaps } from './google-maps.ts';
import { openai } from './openai.ts';
import { shopify } from './shopify.ts';
import { slack } from './slack.ts';
import { stripe } from './stripe.ts';
import { twilio } from './twilio.ts';

/** The examples of each preset, by its name. */
export const EXAMPLES: Readonly<Record<string, PresetExamples>> = {
  stripe,
  openai,
  'azure-openai': azureOpenai,
  anthropic,
  github,
  slack,
  twilio,
  shopify,
  aws,
  'google-maps': googleMaps,
  google,
  atlassian,
  discord,
};
