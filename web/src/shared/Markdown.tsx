/**
 * Markdown of models and people, which is not trusted: HTML in it is shown as text, and what is rendered is sanitized.
 *
 * Nothing is loaded from another host: images are those in the text itself and the files of the run; others are links.
 */
import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { useContext, useMemo } from "react";

import { type Files, fileAt, FilesContext, isImage } from "./files";

const INSIDE = /^data:image\/(png|jpeg|gif|webp);/;

const markdown = new MarkdownIt({ html: false, linkify: true });

markdown.renderer.rules.image = (tokens, index, _, { files }: { files: Files }) => {
  const token = tokens[index];
  const source = token?.attrGet("src") ?? "";
  const words = markdown.utils.escapeHtml(token?.content ?? "");
  const file = fileAt(files, source);
  const shown = INSIDE.test(source) ? source : file !== undefined && isImage(file.path) ? file.href : null;
  if (shown !== null) {
    return `<img src="${markdown.utils.escapeHtml(shown)}" alt="${words}">`;
  }
  const target = file?.href ?? (/^https?:/.test(source) ? source : null);
  const name = words || markdown.utils.escapeHtml(source);
  return target === null ? name : `<a href="${markdown.utils.escapeHtml(target)}">${name}</a>`;
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  // Links open outside of this page, and do not say where they were followed from.
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
  const source = node.getAttribute("src");
  if (source !== null && !INSIDE.test(source) && !source.startsWith("/v1/runs/")) {
    node.removeAttribute("src");
  }
});

export function Markdown({ text }: { text: string }) {
  const files = useContext(FilesContext);
  const html = useMemo(
    () => DOMPurify.sanitize(markdown.render(text, { files }), { FORBID_TAGS: ["style", "form", "input"], FORBID_ATTR: ["style", "srcset"] }),
    [text, files],
  );
  return <div className="markdown" dangerouslySetInnerHTML={{ __html: html }} />;
}
