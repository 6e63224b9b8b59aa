/** `v26.10.0` */
export const nodeVersion: string = process.version;
