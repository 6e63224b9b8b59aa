/* Apart from sign.ts, so that its library is loaded only when a call is signed. */

/** Keys of AWS. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary keys. */
  readonly sessionToken?: string | undefined;
}

export interface SigningScope {
  readonly region: string;
  readonly service: string;
}

/** The field by which requests to S3 state their payload: a hash, or `UNSIGNED-PAYLOAD`. */
export const PAYLOAD_FIELD = 'x-amz-content-sha256';

/** Services whose requests must state the payload, and whose paths are signed as they are sent. */
export const isS3 = (service: string): boolean => service === 's3' || service.startsWith('s3-');
