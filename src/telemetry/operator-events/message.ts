import type { EventOptions } from './options.ts';
import type { OutgoingEvent } from './outbox.ts';

/** The body of a message. `instance`: the name of this machine. */
export function messageOf(message: OutgoingEvent, format: EventOptions['format'], instance: string): string {
  const { event, at, changes } = message;
  if (format === 'slack') return JSON.stringify({ text: slackText(message, instance) });
  return JSON.stringify({
    type: event.type,
    timestamp: new Date(at).toISOString(),
    data: { summary: event.summary, instance, changes, ...event.details },
  });
}

function slackText({ event, changes }: OutgoingEvent, instance: string): string {
  const more = changes > 1 ? ` (the last of ${changes} changes)` : '';
  return `*Breakwater* on ${escaped(instance)}: ${escaped(event.summary)}${more}`;
}

/** The three characters that Slack gives a meaning (api.slack.com, "Escaping text"). */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
