"""A folder of X-rays: found, decoded, varied, and audited."""
