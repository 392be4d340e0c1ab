/** The files that the run wrote, with the images shown. */
import { Download } from "lucide-react";
import { useContext } from "react";

import { FilesContext, isImage } from "../../shared/files";
import { bytes, plural } from "../../shared/format";
import type { Selection } from "../selection";
import { StepLink } from "./Overview";

const LISTED = 50;
const IMAGES = 6;

export function WrittenFiles({ selection }: { selection: Selection }) {
  const files = [...useContext(FilesContext).values()];
  if (files.length === 0) {
    return null;
  }
  const images = files.filter((file) => file.available && isImage(file.path)).slice(0, IMAGES);
  return (
    <section>
      <h2>Files</h2>
      <ul className="plain files">
        {files.slice(0, LISTED).map((file) => (
          <li key={file.path} className="row wrap">
            {file.available ? (
              <a href={file.href} download>
                <Download size={12} aria-hidden /> {file.path}
              </a>
            ) : (
              <span className="muted">{file.path}, removed or changed since</span>
            )}
            <span className="muted small">{bytes(file.size)}, by</span>
            <StepLink path={file.step} selection={selection} />
          </li>
        ))}
      </ul>
      {files.length > LISTED && <p className="muted">and {plural(files.length - LISTED, "other file")}</p>}
      {images.map((file) => (
        <figure key={file.path} className="written-image">
          <img src={file.href} alt={file.path} loading="lazy" />
          <figcaption className="muted small">{file.path}</figcaption>
        </figure>
      ))}
    </section>
  );
}
