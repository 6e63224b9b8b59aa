/**
 * The option of every outgoing TLS connection to verify the certificate. Without it, `NODE_TLS_REJECT_UNAUTHORIZED=0` would
 * turn verification off, and the environment may set that variable for another program.
 */
export const VERIFIED = { rejectUnauthorized: true } as const;
