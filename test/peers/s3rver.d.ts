declare module 's3rver' {
  /** The part that the tests use. */
  export default class S3rver {
    constructor(options: object);
    run(): Promise<{ port: number }>;
    close(): Promise<void>;
  }
}
