/** @import { Page } from './page-state.js' */

/** @param {Page} _page */
export function showConfig(_page) {}
