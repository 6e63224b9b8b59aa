/**
 * For every TLS connection that we open: the certificate is verified. Left out, `NODE_TLS_REJECT_UNAUTHORIZED=0` would decide,
 * which an environment may hold for another program.
 */
export const VERIFIED = { rejectUnauthorized: true } as const;
