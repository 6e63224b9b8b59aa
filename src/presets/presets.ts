import { adyen } from './adyen.ts';
import { airtable } from './airtable.ts';
import { anthropic } from './anthropic.ts';
import { atlassian } from './atlassian.ts';
import { aws } from './aws.ts';
import { azureOpenai } from './azure-openai.ts';
import { brevo } from './brevo.ts';
import { cloudflare } from './cloudflare.ts';
import { cohere } from './cohere.ts';
import { discord } from './discord.ts';
import { dropbox } from './dropbox.ts';
import { github } from './github.ts';
import { googleMaps } from './google-maps.ts';
import { google } from './google.ts';
import { groq } from './groq.ts';
import { hubspot } from './hubspot.ts';
import { intercom } from './intercom.ts';
import { klaviyo } from './klaviyo.ts';
import { linear } from './linear.ts';
import { mailgun } from './mailgun.ts';
import { mistral } from './mistral.ts';
import { notion } from './notion.ts';
import { okta } from './okta.ts';
import { openai } from './openai.ts';
import { openrouter } from './openrouter.ts';
import { paypal } from './paypal.ts';
import { plaid } from './plaid.ts';
import type { Preset } from './preset.ts';
import { quickbooks } from './quickbooks.ts';
import { salesforce } from './salesforce.ts';
import { sendgrid } from './sendgrid.ts';
import { shopify } from './shopify.ts';
import { slack } from './slack.ts';
import { square } from './square.ts';
import { stripe } from './stripe.ts';
import { twilio } from './twilio.ts';
import { xero } from './xero.ts';
import { zendesk } from './zendesk.ts';
import { zoom } from './zoom.ts';

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
  paypal,
  square,
  adyen,
  plaid,
  xero,
  quickbooks,
  hubspot,
  salesforce,
  zendesk,
  intercom,
  klaviyo,
  sendgrid,
  mailgun,
  brevo,
  notion,
  airtable,
  linear,
  dropbox,
  zoom,
  mistral,
  groq,
  cohere,
  openrouter,
  cloudflare,
  okta,
};
