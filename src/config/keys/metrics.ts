import { section, shorthand } from '../fields/field.ts';
import { addressOrOff, isOff, text } from '../fields/fields.ts';
import { parseAddress } from '../fields/units.ts';
import { checkToken } from '../fields/words.ts';

export const metrics = shorthand(
  section(
    'A second address for Prometheus and for probes. It answers /metrics, /healthz and /readyz alone, so it needs no admin_token. A change needs a restart.',
    {
      listen: addressOrOff(
        'off',
        'Such as 0.0.0.0:9090. off: only the admin address has them. Port 0: the system chooses.',
      ),
      token: text(
        undefined,
        'Bearer token that /metrics demands, of at least 16 characters off loopback. Probes need none. Not written: each client that reaches the port may read the metrics.',
        checkToken,
      ),
    },
  ),
  {
    type: 'host:port, off or a map of keys',
    json: { type: 'string' },
    expand: (found) => {
      if (isOff(found)) return { listen: null };
      const parsed = parseAddress(found);
      return 'value' in parsed ? { listen: parsed.value } : parsed;
    },
  },
);
