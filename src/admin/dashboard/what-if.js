/** @import { Page } from './page-state.js' */

export class WhatIf {
  /** @param {Page} _page */
  constructor(_page) {}
  show() {}
}
