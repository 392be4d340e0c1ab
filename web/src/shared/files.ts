/** The files that a run wrote, by their paths: values that name one of them lead to it. */
import { createContext, useContext } from "react";

export interface WrittenFile {
  path: string;
  step: string;
  size: number;
  available: boolean;
  href: string;
}

export type Files = ReadonlyMap<string, WrittenFile>;

export const FilesContext = createContext<Files>(new Map());

/** Returns the file that a text names, as a run has recorded it; undefined if it names none that is there. */
export function useFile(text: string): WrittenFile | undefined {
  const found = useContext(FilesContext).get(text);
  return found?.available ? found : undefined;
}

/** Whether a browser shows a file as an image. Drawings (SVG) can contain scripts, and are only downloaded. */
export function isImage(path: string): boolean {
  return /\.(png|jpe?g|gif|webp|avif|bmp)$/i.test(path);
}

/**
 * Returns the file that an address in a text leads to: its path, or the end of the path of exactly one file, as texts
 * name files from where they are themselves.
 */
export function fileAt(files: Files, address: string): WrittenFile | undefined {
  let path = address.replace(/[?#].*$/, "").replace(/^(\.\/)+/, "");
  try {
    path = decodeURIComponent(path);
  } catch {
    // it is not encoded
  }
  const ends = [...files.values()].filter((file) => file.available && file.path.endsWith(`/${path}`));
  const exact = files.get(path);
  return exact?.available ? exact : path !== "" && ends.length === 1 ? ends[0] : undefined;
}
